// An application that never comes to rest by itself: its timer starts when the file is loaded.
export { AppModule } from '../../../sample/dist/app.module.js';

setInterval(() => {}, 1000);
console.log('ticking');
